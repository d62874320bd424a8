# Runs "$1" and ends its output with a trailer: nonce, exit codes of the command and of what passed and counted its bytes,
# and their count or digest. $0 is the nonce.
# One digest says more than a count and costs half as much as both; a container may have half a processor for all this.
# Not every shell has `pipefail`: each process of the pipe says by itself how it ended, and one that was killed says nothing.
set -f
have() { command -v "$1" >/dev/null 2>&1; }
empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
if have openssl && case "$(openssl dgst -sha256 -r </dev/null 2>/dev/null)" in $empty*) ;; *) false ;; esac; then
    tool=openssl
    sum() { openssl dgst -sha256 -r; }
elif have sha256sum; then
    tool=sha256sum
    sum() { sha256sum; }
elif have wc; then
    tool='wc'
    sum() { wc -c; }
else
    sum() { false; }
fi
# 3 is the stream, 4 collects the words of the trailer.
if have tee && sum </dev/null >/dev/null; then
    exec 3>&1
    words=$({
        { (exec 3>&- 4>&-; sh -c "$1"); echo "exit $?" >&4; } |
            { tee /dev/fd/3; echo "tee $?" >&4; } |
            { sum=$(sum); echo "$tool $? sum $sum" >&4; }
    } 4>&1)
else
    (sh -c "$1")
    words="exit $?"
fi
printf '\nsfarc end %s %s .\n' "$0" "$(echo $words)"
