"""Training: one configuration and chips to a saved run. Only this room trains."""
