"""The program of all stand-ins. It has nothing but the standard library, as it runs in containers without other packages."""
