"""What answers over HTTP. Read upwards; each imports only from those before it.

body, claim, config, headers,
observe, schema                     the ground
db, problem, session, wire          transactions; refusals; browsers; what travels
store                               every SQL statement
ingest                              many small writes, one commit
auth, pages                         who asks, and whether they may; files that anybody may have
api                                 the routes
app                                 all of it put together
serve                               one process that answers
"""
