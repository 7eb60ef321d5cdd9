"""What answers over HTTP. Read upwards: schema, db, wire, store, api, app; each imports only from those before it."""
