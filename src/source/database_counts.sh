# Tells of the database $1: the rows of each table, and the newest build and buildset if it is Zuul's. Names of tables are
# hex in what it prints and in what it asks: whoever makes tables chooses their names, and the server alone puts them in
# quotes. The last line is `end`: without it, statements got lost on their way to the client.
if command -v mariadb >/dev/null 2>&1; then client=mariadb; else client=mysql; fi
tables=$("$client" -N -B -e "SELECT HEX(table_name) FROM information_schema.tables
    WHERE table_schema = '$1' AND table_type = 'BASE TABLE'") || exit
{
    for table in $tables; do
        case $table in *[!0-9A-F]*) exit 2 ;; esac
        echo "SET @name = REPLACE(CONVERT(X'$table' USING utf8), '\`', '\`\`');
            SET @counting = CONCAT('SELECT ''rows/$table'', COUNT(*) FROM \`', @name, '\`');
            PREPARE counting FROM @counting; EXECUTE counting;"
        case $table in
        # zuul_build, zuul_buildset
        7A75756C5F6275696C64 | 7A75756C5F6275696C64736574)
            echo "SET @finding = CONCAT('SELECT ''newest/$table'', uuid FROM \`', @name, '\` ORDER BY id DESC LIMIT 1');
                PREPARE finding FROM @finding; EXECUTE finding;"
            ;;
        esac
    done
    echo "SELECT 'end', '';"
} | "$client" -N -B "$1"
