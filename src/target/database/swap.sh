# Puts the tables of database $2 in the place of those of $1, which go to $3; all at once, by one statement. If $3 has
# tables already, an earlier attempt put them there, and what is in $1 is what it put in their place: that goes.
# Views, triggers, routines and events cannot be moved: they are written down before (`code.sh`), dropped, and made again.
# Whatever fails, the live database gets back what it had. That $2 is gone says that all is done.
code_of=${1}_sfarc_code
in_schema() { printf '%s' "FROM information_schema.$1 WHERE $2_schema = '$3'"; }
tables() { sql -e "SELECT HEX(table_name) $(in_schema tables table "$1") AND table_type IN ('BASE TABLE', 'SEQUENCE')"; }
moves() { sql -e "SELECT CONCAT('\`$1\`.', $(quoted table_name), ' TO \`$2\`.', $(quoted table_name), ',')
    $(in_schema tables table "$1") AND table_type IN ('BASE TABLE', 'SEQUENCE')"; }
# What keeps tables from being moved, and what can stay until they are.
drop_triggers() { sql -e "SELECT CONCAT('DROP TRIGGER \`$1\`.', $(quoted trigger_name), ';')
    $(in_schema triggers trigger "$1")"; }
drop_others() { sql -e "
    SELECT CONCAT('DROP VIEW \`$1\`.', $(quoted table_name), ';') $(in_schema views table "$1");
    SELECT CONCAT('DROP ', routine_type, ' \`$1\`.', $(quoted routine_name), ';') $(in_schema routines routine "$1");
    SELECT CONCAT('DROP EVENT \`$1\`.', $(quoted event_name), ';') $(in_schema events event "$1")"; }
# Runs the statements $1, in the database $2 if it is named; with $3, past those that fail. They go through a pipe: the
# answer to the last one shows that none got lost.
run() {
    [ -n "$1" ] || return 0
    ended=$(printf '%s\n%s\n' "$1" "SELECT 'the end';" | sql $3 ${2:+"$2"}) || return
    case $ended in *'the end') ;; *) echo 'statements got lost on their way to the client' >&2; return 1 ;; esac
}
read_back() { sql -e "SELECT text FROM \`$code_of\`.code WHERE what = '$1'"; }
# Gives the live database the triggers back that it had.
put_back() {
    for try in 1 2 3 4 5 6 7 8 9 10; do
        run "$patience
$old" "$1" -f 2>/dev/null
        [ "$(drop_triggers "$1")" != "$had" ] || return 0
        sleep "$try"
    done
    echo "not all triggers of $1 could be made again: they are in $code_of.code, and the next attempt makes them" >&2
    return 1
}
# Somebody who reads for long holds up nobody else: what waits for him gives up soon, and tries again.
patience='SET SESSION lock_wait_timeout = 5;'
# True if the tables have been moved, whatever the client said of it.
is_moved() {
    if [ -n "$loaded" ]; then left=$(tables "$2"); else left=$(tables "$1"); fi || exit
    [ -z "$left" ]
}
move() {
    triggers=$(drop_triggers "$1" && drop_triggers "$2") || return
    run "${triggers:+$patience$triggers}" || return
    away=$(moves "$1" "$aside") && here=$(moves "$2" "$1") || return
    moved=$away$here
    [ -z "$moved" ] || run "$patience RENAME TABLE ${moved%,};"
}
aside=$3
before=$(tables "$3") && loaded=$(tables "$2") && had=$(drop_triggers "$1") || exit
[ -z "$before" ] || aside=${2}_drop
# Tables that were moved before belong in the place where they are; they are not to go for nothing.
[ "$aside" = "$3" ] || [ -n "$loaded" ] || { echo "there is nothing in $2: load it again" >&2; exit 1; }
old=$(read_back old) && new=$(read_back new) || exit
sql -e "DROP DATABASE IF EXISTS \`${2}_drop\`; CREATE DATABASE IF NOT EXISTS \`$aside\`" || exit
for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
    move "$@" && break
    if is_moved "$@"; then break; fi
    [ "$aside" != "$3" ] || put_back "$1" || exit
    sleep 2
done
is_moved "$@" || { echo "the tables of $1 are in use: end what reads or writes them for long, and try again" >&2; exit 1; }
others=$(drop_triggers "$1" && drop_others "$1" && drop_others "$2") && run "$others" || exit
run "$new" "$1" || {
    # What can be there is there.
    run "$new" "$1" -f 2>/dev/null
    exit 1
}
# An earlier attempt may have come as far as a part of it.
kept=$(drop_triggers "$3" && drop_others "$3") || exit
if [ -z "$kept" ]; then run "$old" "$3"; else run "$old" "$3" -f 2>/dev/null; fi || exit
events=$(sql -e "SELECT CONCAT('ALTER EVENT \`$3\`.', $(quoted event_name), ' DISABLE;')
    $(in_schema events event "$3")") && run "$events" || exit
left=$(tables "$2") || exit
[ -z "$left" ] || { echo "tables are left in $2" >&2; exit 1; }
sql -e "DROP DATABASE IF EXISTS \`$code_of\`; DROP DATABASE IF EXISTS \`${2}_drop\`; DROP DATABASE \`$2\`"
