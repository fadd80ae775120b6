"""A gateway's store as files: lost, backed up, put back."""
import shutil


def store_files(gateway):
    return list(gateway.folder.glob(gateway.store.name + "*"))


def delete_store(gateway):
    for file in store_files(gateway):
        file.unlink()


def save_store(gateway, folder):
    """A copy as a backup makes it: of the database and all that stands beside it, the gateway stopped."""
    folder.mkdir()
    for file in store_files(gateway):
        shutil.copy2(file, folder)


def restore_store(gateway, folder):
    delete_store(gateway)
    for file in folder.iterdir():
        shutil.copy2(file, gateway.folder)


def restore_database(gateway, folder):
    """The database alone: the witness beside it stays."""
    witness = gateway.store.name + "-witness"
    for file in store_files(gateway):
        if file.name != witness:
            file.unlink()
    for file in folder.iterdir():
        if file.name != witness:
            shutil.copy2(file, gateway.folder)
