-- Runs once, on an empty volume, before the database takes connections from the network.
-- Everything of the shop lies in a schema of its own.
CREATE SCHEMA shop;
