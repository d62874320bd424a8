# Passes the first $2 bytes of its input to the command $1, a dot for every $3 of them, and tells at the end how that
# ended and what passed: the exit codes of the command and of what passed and counted its bytes, and their count or digest.
# $0 is the nonce. The input need not end: not every server can tell.
set -f
have() { command -v "$1" >/dev/null 2>&1; }
empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
if have openssl && case "$(openssl dgst -sha256 -r </dev/null 2>/dev/null)" in $empty*) ;; *) false ;; esac; then
    tool=openssl
    sum() { openssl dgst -sha256 -r; }
elif have sha256sum; then
    tool=sha256sum
    sum() { sha256sum; }
else
    tool='wc'
    sum() { wc -c; }
fi
# The `head` of small systems takes more from a pipe than it gives on, and some have no `dd`: then all is taken at once, and
# said to be taken before.
for part in head dd all; do
    case $part in
    head) part() { head -c "$1"; } ;;
    dd) part() { dd bs="$1" count=1 iflag=fullblock 2>/dev/null; } ;;
    esac
    [ "$part" != all ] && [ "$(printf ab | { part 1; part 1; } 2>/dev/null)" = ab ] && break
done
take() {
    left=$1
    while [ "$left" -gt 0 ]; do
        [ "$part" = all ] || part "$(($2 < left ? $2 : left))" || return
        left=$((left - $2))
        printf . >&6
    done
    [ "$part" != all ] || head -c "$1"
}
# 4 collects the words, 5 leads into the command, 6 out of here, 7 into the sum. What the command prints is for people. A
# command may have ended before anything is passed on: to open what leads into it would take for ever then.
exec 6>&1
words=$({
    { take "$2" "$3" | { tee /dev/fd/7 7>&1 >&5; echo "tee $?" >&4; } | { sum=$(sum); echo "$tool $? sum $sum" >&4; }; } 5>&1 |
        { (exec 4>&- 6>&-; sh -c "$1" >&2); echo "exit $?" >&4; }
} 4>&1)
printf '\nsfarc end %s %s .\n' "$0" "$(echo $words)"
