"""Dashboards :material/dashboard:
Figures of any page, pinned side by side with text between them: choose *Pin* in the menu under a figure. A dashboard has a scope of its
own, which the bar above shows and changes for this visit; each figure follows it or keeps its own. A figure is computed by its own page
each time, so it shows the same numbers. Only its author sees a dashboard until it is shared; then everybody sees it who may see all of its
models. Without sign-in everybody sees every dashboard. *Share this view*, beside the link of every page, lists the page here and in the
search.
"""

from observability.dashboard import frame
from observability.dashboard.boards import board_list, board_view, shared_views

boards, board = board_view.chosen_board()
scope = frame.begin_fleet_page("dashboards", heading=board.name if board else None)
if board is None:
    board_list.draw_board_list(boards, scope)
    shared_views.draw_shared_views(shared_views.visible_views())
else:
    board_view.draw_board(board, scope)
