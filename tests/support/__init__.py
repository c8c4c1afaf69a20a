"""What several test folders share: servers, a stand-in for PBS with recorded answers, test cases for layers."""
