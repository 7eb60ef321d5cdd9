"""What answers over HTTP. Read upwards; each imports only from those before it.

claim, config, observe, schema      the ground
remote                              a Redis that may be away
db, problem, wire                   transactions; refusals; what travels
store                               every SQL statement
ingest                              many small writes, one commit
live                                who watches a run, and what they are told
cache, pubsub -> fanout             how readers hear of what writers commit
limit                               how many requests a caller may make
api                                 the routes
app                                 all of it put together
serve                               one process that answers
"""
