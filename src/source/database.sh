# Dumps the database $1 as one consistent state. Unchanged rows are unchanged bytes: no date, in the order of the keys.
# What is not asked for by `--databases` holds no CREATE DATABASE: it can be loaded beside the old one.
if command -v mariadb-dump >/dev/null 2>&1; then dump=mariadb-dump; else dump=mysqldump; fi
exec "$dump" --single-transaction --quick --skip-dump-date --order-by-primary --hex-blob \
    --routines --triggers --events "$1"
