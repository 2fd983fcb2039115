"""The ground floor: configuration, files, numerics and names; nothing here knows of networks."""
