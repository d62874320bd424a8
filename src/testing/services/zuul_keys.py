import configparser
import sys

from zuul.lib.keystorage import KeyStorage
from zuul.zk import ZooKeeperClient

config = configparser.ConfigParser()
config.read(sys.argv[1])
client = ZooKeeperClient.fromConfig(config)
client.connect()
keys = KeyStorage(client, password=config["keystore"]["password"])
for owner in sys.argv[2:]:
    connection, colon, project = owner.partition(":")
    if colon:
        keys.getProjectSecretsKeys(connection, project)
        keys.getProjectSSHKeys(connection, project)
    else:
        keys.getTenantSSHKeys(owner)
client.disconnect()
