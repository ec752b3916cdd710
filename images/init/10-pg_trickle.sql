-- Runs once, when the data directory is made.
CREATE EXTENSION pg_trickle;
