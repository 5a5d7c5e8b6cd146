"""Features: front ends turn a waveform into log-mel energies or MFCC; a cache keeps them.

Start with `cache.cache_for(dataset, frontend)`, which computes what is missing and opens the cache.
"""
