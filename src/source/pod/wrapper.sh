# Runs "$1" and ends its output with a trailer: nonce, exit code, bytes, digest. $0 is the nonce.
# One digest says more than a count and costs half as much as both; a container may have half a processor for all this.
have() { command -v "$1" >/dev/null 2>&1; }
empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
if have openssl && case "$(openssl dgst -sha256 -r </dev/null 2>/dev/null)" in $empty*) ;; *) false ;; esac; then
    sum() { echo "bytes - digest $(openssl dgst -sha256 -r)"; }
elif have sha256sum; then
    sum() { echo "bytes - digest $(sha256sum)"; }
elif have wc; then
    sum() { echo "bytes $(wc -c) digest -"; }
else
    sum() { false; }
fi
# 3 is the stream, 4 collects the words of the trailer.
if have tee && sum </dev/null >/dev/null; then
    exec 3>&1
    words=$({
        { (exec 3>&- 4>&-; sh -c "$1"); echo "exit $?" >&4; } | tee /dev/fd/3 | sum >&4
    } 4>&1)
else
    (sh -c "$1")
    words="exit $? bytes - digest -"
fi
printf '\nsfarc end %s %s .\n' "$0" "$(echo $words)"
