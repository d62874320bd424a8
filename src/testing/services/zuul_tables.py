import sys

from zuul.driver.sql import SQLDriver
from zuul.driver.sql.sqlconnection import SQLConnection

SQLConnection(SQLDriver(), "database", {"dburi": sys.argv[1]})._migrate()
