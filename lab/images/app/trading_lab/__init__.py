"""The applications of the lab's reference AI_TRADING_CORE."""
