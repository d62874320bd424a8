# shellcheck shell=bash
# How each archiver is used, with its own defaults and with encryption where it has any. Sourced, not run.
#
#   init_TOOL REPO             makes a repository
#   put_TOOL REPO NAME FILE    stores FILE, through standard input, as the snapshot NAME
#   get_TOOL REPO NAME         writes the snapshot to standard output
#
# The command that counts is run through `timed`. $HOME must be a scratch folder: caches and keys go there.

export BORG_PASSPHRASE=$PASSWORD RESTIC_PASSWORD=$PASSWORD RUSTIC_PASSWORD=$PASSWORD SFARC_PASSWORD=$PASSWORD
export RUSTIC_NO_PROGRESS=true RUSTIC_LOG_LEVEL=warn

# timed COMMAND...: runs it, and notes wall time and the peak memory of its largest process if $TIMES names a file.
timed() {
    if [[ -n ${TIMES:-} ]]; then
        command time --quiet -a -o "$TIMES" -f "$LABEL %e %M" "$@"
    else
        "$@"
    fi
}

init_sfarc() { SFARC_REPO=$1 "$SFARC" init; }
put_sfarc() { SFARC_REPO=$1 timed "$SFARC" snapshot --stdin dump.sql <"$3"; }
get_sfarc() { SFARC_REPO=$1 timed "$SFARC" cat latest dump.sql; }

init_sfarc_file() { init_sfarc "$@"; }
put_sfarc_file() { SFARC_REPO=$1 timed "$SFARC" snapshot --file "dump.sql=$3"; }
get_sfarc_file() { get_sfarc "$@"; }

init_sfarc_hiding() { SFARC_REPO=$1 "$SFARC" init --hide-sizes; }
put_sfarc_hiding() { put_sfarc "$@"; }
get_sfarc_hiding() { get_sfarc "$@"; }

init_borg() { borg init --encryption repokey-blake2 "$1"; }
put_borg() { timed borg create "$1::$2" - <"$3"; }
get_borg() { timed borg extract --stdout "$1::$2"; }

init_borg_zstd() { init_borg "$@"; }
put_borg_zstd() { timed borg create --compression zstd,3 "$1::$2" - <"$3"; }
get_borg_zstd() { get_borg "$@"; }

init_bup() { bup -d "$1" init; }
put_bup() { timed bup -d "$1" split --name dump <"$3"; }
get_bup() { timed bup -d "$1" join dump; }

init_bupstash() {
    bupstash init -r "$1"
    mkdir -p "$HOME"
    bupstash new-key -o "$HOME/bupstash.key"
}
put_bupstash() { timed bupstash put -q -r "$1" -k "$HOME/bupstash.key" "name=$2" - <"$3"; }
get_bupstash() { timed bupstash get -q -r "$1" -k "$HOME/bupstash.key" "name=$2"; }

init_restic() { restic -r "$1" init; }
put_restic() { timed restic -r "$1" backup --stdin --stdin-filename dump.sql <"$3"; }
get_restic() { timed restic -r "$1" dump latest dump.sql; }

# Without --force, rustic takes what the last snapshot holds under the same name and stores nothing.
init_rustic() { rustic -r "$1" init; }
put_rustic() { timed rustic -r "$1" backup --force --stdin-filename dump.sql - <"$3"; }
get_rustic() { timed rustic -r "$1" dump latest:dump.sql; }

# version TOOL: its name and version on one line; fails if the tool is not installed.
version() {
    case $1 in
        sfarc | sfarc_file | sfarc_hiding) [[ -x $SFARC ]] && "$SFARC" --version ;;
        borg | borg_zstd) borg --version ;;
        bup) echo "bup $(bup --version)" ;;
        restic) restic version | cut -d' ' -f1,2 ;;
        *) "$1" --version | head -n 1 ;;
    esac 2>/dev/null
}

# label TOOL: how the tables call it.
label() {
    case $1 in
        sfarc_file) echo "sfarc \`--file\`" ;;
        sfarc_hiding) echo "sfarc \`--hide-sizes\`" ;;
        borg_zstd) echo "borg \`-C zstd,3\`" ;;
        *) echo "$1" ;;
    esac
}
