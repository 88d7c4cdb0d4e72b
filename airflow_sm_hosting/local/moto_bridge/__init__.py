"""Every use of moto beside its HTTP interface. One module for each part of moto; ``test_moto_contract.py`` holds them all."""
