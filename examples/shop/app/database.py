"""The way to PostgreSQL."""

import os

import psycopg2


def connect():
    with open(os.environ["DATABASE_PASSWORD_FILE"]) as file:
        password = file.read().rstrip("\n")
    return psycopg2.connect(
        host=os.environ["DATABASE_HOST"],
        user=os.environ["DATABASE_USER"],
        dbname=os.environ["DATABASE_NAME"],
        password=password,
        options="-c search_path=shop",
    )
