# Writes down the views, triggers, routines and events of the database $1, and those of $2 that come in their place, in the
# database $1_sfarc_code. What an attempt that was killed has dropped of $1 is made again first. If $3 has tables, the tables
# of $1 are new ones already, and what is written down of it is what counts.
code_of=${1}_sfarc_code
in_schema() { printf '%s' "FROM information_schema.$1 WHERE $2_schema = '$3'"; }
names() { sql -e "SELECT 'trigger', HEX(trigger_name) $(in_schema triggers trigger "$1") ORDER BY 2;
    SELECT 'view', HEX(table_name) $(in_schema views table "$1") ORDER BY 2;
    SELECT routine_type, HEX(routine_name) $(in_schema routines routine "$1") ORDER BY 1, 2;
    SELECT 'event', HEX(event_name) $(in_schema events event "$1") ORDER BY 2"; }
# The name that these hex digits are, and `_` behind it.
unhex() {
    left=$1
    while [ -n "$left" ]; do
        rest=${left#??}
        printf '%b' "\\0$(printf '%03o' "0x${left%"$rest"}")"
        left=$rest
    done
    printf _
}
# The code of $1, to be made again in another database.
code() {
    any=$(names "$1") || return
    [ -n "$any" ] || return 0
    "$dump" --no-data --no-create-info --skip-opt --routines --triggers --events -- "$1" || return
    views=$(sql -e "SELECT HEX(table_name) $(in_schema views table "$1")") || return
    [ -n "$views" ] || return 0
    set -- "$1"
    for view in $views; do
        name=$(unhex "$view")
        set -- "$@" "${name%_}"
    done
    "$dump" --no-data --skip-triggers --skip-lock-tables --default-character-set=utf8mb4 -- "$@"
}
write_down() {
    hex=$(printf '%s' "$2" | od -An -v -tx1 | tr -d ' \n')
    ended=$(printf '%s\n' "REPLACE INTO \`$code_of\`.code VALUES ('$1', X'$hex'); SELECT 'the end';" | sql) &&
        [ "$ended" = 'the end' ]
}
read_back() { sql -e "SELECT text FROM \`$code_of\`.code WHERE what = '$1'"; }
# True if $1 has all the code by name that is written down.
has_all() {
    now=$(names "$1") && then=$(read_back names) || exit
    printf '%s\n' "$then" | while IFS= read -r name; do
        case "
$now
" in *"
$name
"*) ;; *) [ -z "$name" ] || exit 1 ;; esac
    done
}
is_known=$(sql -e "SELECT COUNT(*) $(in_schema tables table "$code_of")") || exit
[ "$is_known" = 0 ] || [ "$(read_back state)" = whole ] || is_known=0
moved=$(sql -e "SELECT COUNT(*) $(in_schema tables table "$3")") || exit
if [ "$is_known" != 0 ] && [ "$moved" = 0 ]; then
    read_back old | sql -f "$1" >/dev/null 2>&1
    has_all "$1" || {
        echo "an earlier restore has dropped triggers, views, routines or events of $1 that cannot be made again: they are in \
$code_of.code. Make them by hand, or drop that database if nobody wants them" >&2
        exit 1
    }
fi
sql -e "CREATE DATABASE IF NOT EXISTS \`$code_of\` CHARACTER SET utf8mb4;
    CREATE TABLE IF NOT EXISTS \`$code_of\`.code (what VARCHAR(9) PRIMARY KEY, text LONGBLOB)" || exit
if [ "$moved" = 0 ]; then
    had=$(names "$1") && old=$(code "$1") && write_down names "$had" && write_down old "$old" || exit
fi
new=$(code "$2") && write_down new "$new" && write_down state whole
