"""Getting to know a device before trusting it: is its profile whole, does it obey, does it fall back by itself?"""
