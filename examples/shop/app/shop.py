"""A very small shop: goods and orders lie in PostgreSQL, visits and the latest news in Redis."""

import os
import socket

import redis
from flask import Flask, redirect, render_template, request

from database import connect

app = Flask(__name__)
cache = redis.Redis(host=os.environ["CACHE_HOST"], decode_responses=True)
here = socket.gethostname()


@app.get("/")
def page():
    visits = cache.incr("visits")
    news = cache.lrange("news", 0, 4)
    connection = connect()
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT name, price, (SELECT count(*) FROM orders WHERE good = name) FROM goods ORDER BY name")
        goods = cursor.fetchall()
    connection.close()
    return render_template(
        "page.html", title=os.environ["SHOP_NAME"], currency=os.environ["CURRENCY"], goods=goods, news=news, visits=visits, here=here
    )


@app.post("/orders")
def order():
    good, customer = request.form["good"], request.form["customer"]
    connection = connect()
    with connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO orders (good, customer) SELECT name, %s FROM goods WHERE name = %s RETURNING id", (customer, good))
        known = cursor.fetchone()
    connection.close()
    if not known:
        return f"there is no {good}\n", 404
    cache.lpush("news", f"{customer} bought: {good}")
    return redirect("/", 303)


@app.get("/health")
def health():
    cache.ping()
    connect().close()
    return "fine\n"


@app.after_request
def signed(response):
    response.headers["X-Served-By"] = here
    return response
