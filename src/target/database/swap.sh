# Puts the tables of database $2 in the place of those of $1, which go to $3; all at once, by one statement. If $3 has
# tables already, an earlier attempt put them there, and what is in $1 is what it put in their place: that goes.
# Views, triggers, routines and events cannot be moved: they are written down, dropped, and made again.
# That $2 is gone says that all is done.
tables() { sql -e "SELECT table_name FROM information_schema.tables
    WHERE table_schema = '$1' AND table_type IN ('BASE TABLE', 'SEQUENCE')"; }
views() { sql -e "SELECT table_name FROM information_schema.views WHERE table_schema = '$1'"; }
moves() { sql -e "SELECT CONCAT('\`$1\`.\`', table_name, '\` TO \`$2\`.\`', table_name, '\`,')
    FROM information_schema.tables WHERE table_schema = '$1' AND table_type IN ('BASE TABLE', 'SEQUENCE')"; }
drops() { sql -e "
    SELECT CONCAT('DROP TRIGGER \`$1\`.\`', trigger_name, '\`;') FROM information_schema.triggers
        WHERE trigger_schema = '$1';
    SELECT CONCAT('DROP VIEW \`$1\`.\`', table_name, '\`;') FROM information_schema.views WHERE table_schema = '$1';
    SELECT CONCAT('DROP ', routine_type, ' \`$1\`.\`', routine_name, '\`;') FROM information_schema.routines
        WHERE routine_schema = '$1';
    SELECT CONCAT('DROP EVENT \`$1\`.\`', event_name, '\`;') FROM information_schema.events
        WHERE event_schema = '$1'"; }
# The views, triggers, routines and events of $1, to be made again in another database.
code() {
    [ -n "$(drops "$1")" ] || return 0
    "$dump" --no-data --no-create-info --skip-opt --routines --triggers --events "$1" || return
    seen=$(views "$1") || return
    [ -z "$seen" ] || "$dump" --no-data --skip-triggers "$1" $seen
}
# Runs the statements $1, in the database $2 if it is named. They go through a pipe: the answer to the last one shows that
# none got lost.
run() {
    [ -n "$1" ] || return 0
    ended=$(printf '%s\n%s\n' "$1" "SELECT 'the end';" | sql ${2:+"$2"}) || return
    case $ended in *'the end') ;; *) echo 'statements got lost on their way to the client' >&2; return 1 ;; esac
}
aside=$3
before=$(tables "$3") || exit
[ -z "$before" ] || aside=${2}_drop
new=$(code "$2") && old=$(code "$1") && gone=$(drops "$1" && drops "$2") || exit
sql -e "DROP DATABASE IF EXISTS \`${2}_drop\`; CREATE DATABASE IF NOT EXISTS \`$aside\`" || exit
run "$gone" || exit
away=$(moves "$1" "$aside") && here=$(moves "$2" "$1") || exit
# Tables that were moved before belong in the place where they are; they are not to go for nothing.
[ "$aside" = "$3" ] || [ -n "$here" ] || { echo "there is nothing in $2: load it again" >&2; exit 1; }
moved=$away$here
[ -z "$moved" ] || sql -e "RENAME TABLE ${moved%,}" || exit
run "$new" "$1" || exit
[ "$aside" != "$3" ] || {
    run "$old" "$3" || exit
    events=$(sql -e "SELECT CONCAT('ALTER EVENT \`$3\`.\`', event_name, '\` DISABLE;') FROM information_schema.events
        WHERE event_schema = '$3'") && run "$events" || exit
}
left=$(tables "$2") || exit
[ -z "$left" ] || { echo "tables are left in $2" >&2; exit 1; }
sql -e "DROP DATABASE IF EXISTS \`${2}_drop\`; DROP DATABASE \`$2\`"
