import Testing

import Runtime
