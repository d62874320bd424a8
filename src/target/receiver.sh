# Passes the first $2 bytes of its input to the command $1, a dot for every $3 of them, and tells at the end how that
# ended and what passed: exit code, bytes, digest. $0 is the nonce. The input need not end: not every server can tell.
have() { command -v "$1" >/dev/null 2>&1; }
empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
if have openssl && case "$(openssl dgst -sha256 -r </dev/null 2>/dev/null)" in $empty*) ;; *) false ;; esac; then
    sum() { echo "bytes - digest $(openssl dgst -sha256 -r)"; }
elif have sha256sum; then
    sum() { echo "bytes - digest $(sha256sum)"; }
else
    sum() { echo "bytes $(wc -c) digest -"; }
fi
take() {
    left=$1
    while [ "$left" -gt 0 ]; do
        head -c "$(($2 < left ? $2 : left))" || return
        left=$((left - $2))
        printf . >&6
    done
}
# 4 collects the words, 5 leads into the command, 6 out of here. What the command prints is for people.
exec 6>&1
words=$({
    { take "$2" "$3" | tee /dev/fd/5 | sum >&4; } 5>&1 | { (exec 4>&- 6>&-; sh -c "$1" >&2); echo "exit $?" >&4; }
} 4>&1)
printf '\nsfarc end %s %s .\n' "$0" "$(echo $words)"
