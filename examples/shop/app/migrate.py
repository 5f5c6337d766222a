"""Brings the database to the version the application needs. Runs once before it, and again at every `up`."""

from database import connect

STEPS = [
    "CREATE TABLE goods (name text PRIMARY KEY, price numeric(8, 2) NOT NULL)",
    "CREATE TABLE orders (id serial PRIMARY KEY, good text NOT NULL REFERENCES goods, customer text NOT NULL, at timestamptz DEFAULT now())",
    "INSERT INTO goods VALUES ('Tea', 3.20), ('Lamp', 24.00), ('Bicycle bell', 7.50)",
]

connection = connect()
with connection, connection.cursor() as cursor:
    cursor.execute("CREATE TABLE IF NOT EXISTS version (step int NOT NULL)")
    cursor.execute("SELECT count(*) FROM version")
    (done,) = cursor.fetchone()
    for number, step in enumerate(STEPS[done:], done + 1):
        cursor.execute(step)
        cursor.execute("INSERT INTO version VALUES (%s)", (number,))
    print(f"{len(STEPS) - done} of {len(STEPS)} steps done now", flush=True)
connection.close()
