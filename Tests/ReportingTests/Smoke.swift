import Testing

import Reporting
