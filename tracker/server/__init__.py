"""What answers over HTTP. Read upwards; each imports only from those before it.

body, claim, config, headers,
observe, schema                     the ground
remote                              a Redis that may be away
db, problem, session, wire          transactions; refusals; browsers; what travels
store                               every SQL statement
auth, pages, opening                who asks, and whether they may; files for anybody; how commands begin
live                                who watches a run, and what they are told
cache, pubsub -> fanout             how readers hear of what writers commit
limit                               how many requests a caller may make
ingest                              many small writes, one commit
known -> broker -> worker, dead     the queue before the database, and who empties it
api                                 the routes
app                                 all of it put together
serve                               one process that answers
"""
