"""python -m hansa.bootstrap FOLDER runs a node."""

import sys

from hansa.bootstrap.running import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
