"""Does ``ppo-lif-dynamics`` keep the return of ``ppo-lif`` where the budget is short?"""
