# Names the database $1, if it is there, and those that a restore of it has made.
sql -e "SELECT 'database', schema_name FROM information_schema.schemata
    WHERE schema_name = '$1' OR schema_name LIKE '$1\\_sfarc\\_%'"
