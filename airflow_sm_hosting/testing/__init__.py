"""For people who test their own DAGs: fixtures that pytest finds by itself."""
