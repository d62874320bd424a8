# Runs a MariaDB that is reached by a socket in $HOME only. What it keeps is in $DATA, encrypted with a key in $HOME
# where the server can do that.
umask 077
PATH=$PATH:/usr/sbin:/usr/libexec:/usr/local/sbin
exec >>"$HOME/mariadb.log" 2>&1
first() { for name; do command -v "$name" && return; done; echo "there is no $*" >&2; return 1; }
server=$(first mariadbd mysqld) && install=$(first mariadb-install-db mysql_install_db) || exit
printf '[client]\nuser=root\nsocket=%s/socket\n' "$HOME" >"$HOME/.my.cnf"
# A server that is started as root wants to be told that this is meant.
[ "$(id -u)" != 0 ] || user=--user=root
export TMPDIR="$DATA"
"$install" --no-defaults --skip-test-db --auth-root-authentication-method=normal --datadir="$DATA/mariadb" $user || exit
plugins=$("$server" --no-defaults $user --verbose --help 2>/dev/null | sed -n 's/^plugin-dir  *//p')
set --
if [ -e "$plugins/file_key_management.so" ]; then
    printf '1;%s\n' "$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" >"$HOME/database-key"
    set -- --plugin-load-add=file_key_management --file-key-management-filename="$HOME/database-key" \
        --innodb-encrypt-tables=FORCE --innodb-encrypt-log=ON --innodb-encrypt-temporary-tables=ON \
        --aria-encrypt-tables=ON --encrypt-tmp-disk-tables=ON --encrypt-tmp-files=ON
fi
# Statements read and write files in an empty folder of this server's own only.
mkdir -p "$DATA/files"
# Nothing here must survive a power cut, nobody else may connect, and no event may fire.
exec "$server" --no-defaults --skip-networking --innodb-flush-log-at-trx-commit=0 --event-scheduler=OFF \
    --local-infile=0 --secure-file-priv="$DATA/files" "$@" \
    --datadir="$DATA/mariadb" --socket="$HOME/socket" --pid-file="$HOME/pid" $user
