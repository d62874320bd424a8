# Makes the empty database $2 beside $1, with the same character set. What an earlier attempt has left goes, and whoever
# still works on it.
sql -e "SELECT CONCAT('KILL ', id, ';') FROM information_schema.processlist WHERE db = '$2'" | sql -f 2>/dev/null
set=$(sql -e "SELECT CONCAT('CHARACTER SET ', default_character_set_name, ' COLLATE ', default_collation_name)
    FROM information_schema.schemata WHERE schema_name = '$1'") || exit
sql -e "CREATE DATABASE IF NOT EXISTS \`$1\`; DROP DATABASE IF EXISTS \`$2\`; CREATE DATABASE \`$2\` $set" || exit
# Dumps of newer clients begin with a line that older ones take for a command.
if printf '%s\n' '/*M!999999\- enable the sandbox mode */' | sql >/dev/null 2>&1; then printf 'sandbox\tyes\n'; fi
