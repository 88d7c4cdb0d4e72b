"""What people see in Airflow: the page "Endpoints", the tab "Deployment", and the records and assets behind them."""
