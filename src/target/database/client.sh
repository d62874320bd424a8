# What the scripts about databases share. The client finds its password where the container keeps it.
if command -v mariadb >/dev/null 2>&1; then client=mariadb; else client=mysql; fi
if command -v mariadb-dump >/dev/null 2>&1; then dump=mariadb-dump; else dump=mysqldump; fi
sql() { "$client" -N -B "$@"; }
