"""What would the monitoring have said, had this fault been there: the scenario lab.

A clean log (`base`), one known fault at a strength from a day on (`faults`), the monitoring day by day as of each day's end (`replay`), answered by a
throw-away store (`road`, the honest way) or by tables in memory (`tables`, the fast one, equal answers). Nothing here knows what the right answer
is: that is for whoever scores it. The user's own store is only read.
"""
