"""The devices that train: setting them up, joining those of several nodes, and using them as one."""
