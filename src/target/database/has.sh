# Says `found` if table $2 of database $1 has a row with the `uuid` $3.
case "$2$3" in *[!A-Za-z0-9_-]*) exit 2 ;; esac
sql -e "SELECT 'found' FROM \`$2\` WHERE uuid = '$3' LIMIT 1" "$1"
