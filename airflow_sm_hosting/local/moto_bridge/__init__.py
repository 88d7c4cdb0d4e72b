"""Every use of moto that does not go through its HTTP interface."""
