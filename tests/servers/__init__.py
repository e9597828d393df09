"""Servers the tests talk to over real sockets on the loopback interface."""
