import Testing

import QDashboard
