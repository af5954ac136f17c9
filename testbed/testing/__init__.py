"""Referees for parts of your own: hand one a part and it holds it to the contract."""
