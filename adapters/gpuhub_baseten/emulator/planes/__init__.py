"""The HTTP faces of the emulator: management, object store, inference, GraphQL."""
