"""A ClickHouse server of one process: `python -S clickhouse_main.py LIBRARY ARGUMENTS`, for tests.

The library's `chdb_query_cmdline` is the main function of clickhouse-local, whose query can have it listen. Imports
nothing but ctypes: a process that is killed has no coverage to write.
"""

import ctypes
import sys

library, *arguments = sys.argv[1:]
words = [b"clickhouse", *(each.encode() for each in arguments)]
run = ctypes.CDLL(library).chdb_query_cmdline
run.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
run.restype = ctypes.c_void_p
run(len(words), (ctypes.c_char_p * (len(words) + 1))(*words, None))
