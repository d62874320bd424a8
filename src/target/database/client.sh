# What the scripts about databases share. The client finds its password where the container keeps it.
if command -v mariadb >/dev/null 2>&1; then client=mariadb; else client=mysql; fi
if command -v mariadb-dump >/dev/null 2>&1; then dump=mariadb-dump; else dump=mysqldump; fi
# What is asked for is told as it is: names may hold anything.
sql() { "$client" --default-character-set=utf8mb4 -N -B -r "$@"; }
# Whoever makes tables chooses their names. The server puts the name in the column $1 in quotes.
quoted() { printf '%s' "CONCAT('\`', REPLACE($1, '\`', '\`\`'), '\`')"; }
