"""The devices that train: set up, joined from several nodes, and made one."""
