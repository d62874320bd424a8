# Tells of the database $1: the rows of each table, and the newest build and buildset if it is Zuul's. The last line is
# `end`: without it, statements got lost on their way to the client.
if command -v mariadb >/dev/null 2>&1; then client=mariadb; else client=mysql; fi
tables=$("$client" -N -B -e "SELECT table_name FROM information_schema.tables
    WHERE table_schema = '$1' AND table_type = 'BASE TABLE'") || exit
{
    for table in $tables; do
        echo "SELECT 'rows/$table', COUNT(*) FROM \`$table\`;"
        case $table in
        zuul_build | zuul_buildset) echo "SELECT 'newest/$table', uuid FROM $table ORDER BY id DESC LIMIT 1;" ;;
        esac
    done
    echo "SELECT 'end', '';"
} | "$client" -N -B "$1"
