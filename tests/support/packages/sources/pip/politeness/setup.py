from setuptools import setup

setup(name="politeness", version="1.0.0", py_modules=["politeness"])
